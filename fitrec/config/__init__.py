"""The typed configuration: one model per stage, defaults and JSON schema generated from it."""
