"""What recipients' servers will make of a tenant's messages, by what DNS says: SPF, DKIM and DMARC, in words."""
