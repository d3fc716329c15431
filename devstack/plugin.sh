#!/bin/bash
#
# devstack's plugin entry point: plugin.sh <mode> [<phase>]. The functions are in lib/factstore.

# Save trace setting
_XTRACE_FACTSTORE_PLUGIN=$(set +o | grep xtrace)
set +o xtrace

source $FACTSTORE_DIR/devstack/lib/factstore

if is_service_enabled factstore-api; then
    case "$1 ${2:-}" in
        "stack install")
            echo_summary "Installing factstore"
            install_factstore
            ;;
        "stack post-config")
            echo_summary "Configuring factstore"
            configure_factstore
            configure_factstore_heat
            create_factstore_accounts
            ;;
        "stack extra")
            echo_summary "Starting factstore"
            start_factstore
            ;;
        "unstack ")
            stop_factstore
            ;;
        "clean ")
            cleanup_factstore
            ;;
    esac
fi

# Restore xtrace
$_XTRACE_FACTSTORE_PLUGIN
