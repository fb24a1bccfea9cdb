"""What a tenant's invitations print, for the telephone side: its numbers, and which conference ID leads where (R46)."""
