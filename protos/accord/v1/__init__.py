"""Messages and services, generated from the .proto files beside this one."""
