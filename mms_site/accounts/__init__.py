"""How administrators sign in: by password with a second factor, by passkey, by OpenID Connect. All through allauth.

``urls`` has the addresses, ``views`` what they answer; ``openid`` is the sign-in of an organization, ``adapters`` what
allauth asks of its site, ``receivers`` what is audited.
"""
