"""A written project is loaded in another process and compared with what lives here."""
