"""What a user's invitations should say."""
