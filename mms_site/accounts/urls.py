"""Addresses of signing in. Their names are those that allauth asks for."""

from allauth.socialaccount.providers import registry
from django.urls import path

from mms_site.accounts import installation, invitations, own, recovery, sign_out, views
from mms_site.languages import choose_language

registry.load()  # OpenID Connect

urlpatterns = [
    path("language/", choose_language, name="language"),
    path("all/", installation.accounts_of_all, name="accounts"),
    path("all/<int:pk>/switch/", installation.switch, name="switch-account"),
    path("all/<int:pk>/administrator/", installation.administer, name="administer-account"),
    path("all/<int:pk>/remove-second-factor/", installation.remove_second_factor, name="remove-second-factor"),
    path("own/", own.own, name="account"),
    path("own/name/", own.change_name, name="change-own-name"),
    path("own/preferences/", own.change_preferences, name="change-preferences"),
    path("own/password/", own.change_password, name="change-own-password"),
    path("own/sessions/<int:pk>/end/", own.end_session, name="end-session"),
    path("own/sessions/end-others/", own.end_other_sessions, name="end-other-sessions"),
    path("login/", views.SignIn.as_view(), name="account_login"),
    path("logout/", sign_out.SignOut.as_view(), name="account_logout"),
    path("forgotten/", recovery.forgotten, name="password_reset"),
    path("sign-in-link/<uidb64>/<token>/", views.SignInLink.as_view(), name="password_reset_confirm"),
    path("invitation/<str:token>/", invitations.accept, name="accept-invitation"),
    path("login/code/", views.Code.as_view(), name="mfa_authenticate"),
    path("login/passkey/", views.PasskeySignIn.as_view(), name="mfa_login_webauthn"),
    path("openid/", views.openid_login, name="openid_login"),
    path("openid/callback/", views.openid_callback, name="openid_callback"),
    path("openid/connect/", views.openid_connect, name="openid_connect"),
    path("confirm/", views.PasswordAgain.as_view(), name="account_reauthenticate"),
    path("confirm/code/", views.CodeAgain.as_view(), name="mfa_reauthenticate"),
    path("confirm/passkey/", views.PasskeyAgain.as_view(), name="mfa_reauthenticate_webauthn"),
    path("second-factor/", views.SecondFactor.as_view(), name="mfa_index"),
    path("second-factor/app/", views.AddApp.as_view(), name="mfa_activate_totp"),
    path("second-factor/app/remove/", views.RemoveApp.as_view(), name="mfa_deactivate_totp"),
    path("second-factor/recovery-codes/", views.RecoveryCodes.as_view(), name="mfa_view_recovery_codes"),
    path("second-factor/recovery-codes/new/", views.NewRecoveryCodes.as_view(), name="mfa_generate_recovery_codes"),
    path("second-factor/passkeys/add/", views.AddPasskey.as_view(), name="mfa_add_webauthn"),
    path("second-factor/passkeys/<int:pk>/remove/", views.RemovePasskey.as_view(), name="mfa_remove_webauthn"),
]
