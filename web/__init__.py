"""HTTP: Twilio's webhooks and socket, the API."""
