#!/bin/sh
# keepalived gives the address and the port of the server.
exec nc -z -w 3 "$1" "$2"
