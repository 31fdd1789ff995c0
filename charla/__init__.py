"""Charla: the server in server/, the client in client/; below both common/, protocol/ and i18n/."""
