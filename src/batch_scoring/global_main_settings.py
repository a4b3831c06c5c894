"""No settings, as ``main_settings``: Dynaconf asks for this module too."""
