#!/bin/bash
# devstack's functions that change only variables and files, written small.

function define_plugin {
    :
}

function echo_summary {
    :
}

function enable_service {
    ENABLED_SERVICES+=$(printf ',%s' "$@")
}

function is_service_enabled {
    local service
    for service in ${DISABLED_SERVICES:-}; do
        [[ $service != "$1" ]] || return 1
    done
    [[ ,$ENABLED_SERVICES, == *,$1,* ]]
}

# As devstack's: a new option goes right below its section's line.
function iniset {
    local file=$1 section=$2 option=$3 value=$4
    grep -q "^\[$section\]" "$file" 2>/dev/null || echo -e "\n[$section]" >>"$file"
    inidelete "$file" "$section" "$option"
    sed -i -e "/^\[$section\]/ a\\
$option = $value
" "$file"
}

function inidelete {
    sed -i -e "/^\[$2\]/,/^\[.*\]/ { /^$3[ \t]*=/ d; }" "$1"
}

function iniget {
    sed -n "/^\[$2\]/,/^\[.*\]/ s/^$3[ \t]*=[ \t]*//p" "$1"
}

function apache_site_config_for {
    echo "$WORK/sites/$1.conf"
}

function enable_apache_mod {
    echo "$1" >>$WORK/modules
}

function sudo {
    "$@"
}
