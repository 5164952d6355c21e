#!/bin/sh
# One Tomcat for one pod of a process node; many share the program files of $CATALINA_HOME.
# In the environment: CATALINA_HOME, POD_IP, and JRE_HOME unless java is on the PATH. Its own files go to the
# folder that it is started in. No grace for running requests is set up: servers are drained before they end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export CATALINA_BASE="$PWD/tomcat"
export WEBAPP="${WEBAPP:-$here/webapp}"
mkdir -p "$CATALINA_BASE/conf" "$CATALINA_BASE/temp" "$CATALINA_BASE/work" "$CATALINA_BASE/logs"
cp "$CATALINA_HOME"/conf/* "$CATALINA_BASE/conf/"
cp "$here/server.xml" "$CATALINA_BASE/conf/"
digester=org.apache.tomcat.util.digester
export CATALINA_OPTS="${CATALINA_OPTS:-} -D$digester.PROPERTY_SOURCE=$digester.EnvironmentPropertySource"
exec sh "$CATALINA_HOME/bin/catalina.sh" run
