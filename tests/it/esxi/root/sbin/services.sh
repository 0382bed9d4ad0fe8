#!/bin/sh
# services.sh {start|stop|restart}: every management agent.
for service in hostd rhttpproxy vpxa; do /etc/init.d/$service "$1"; done
