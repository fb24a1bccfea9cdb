"""Microsoft Graph for whoever needs it: clouds, sign-in, requests. Plain Python; knows neither Django nor rows."""
