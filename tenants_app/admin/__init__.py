"""Django admin for data fixes. Saving goes through ``tenants_app.changes`` like every other change.

People and numbers are not deleted here: they are part of what happened, and of invitations still out. A bridge that
nobody needs any more can be.
"""

from tenants_app.admin import accounts, audit, bridges, deployments, numbers, tenants, users

__all__ = ["accounts", "audit", "bridges", "deployments", "numbers", "tenants", "users"]
