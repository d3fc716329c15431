"""devstack's phases with the packages of an OpenStack release; ``make test-devstack`` runs them."""
