# Several processes on one token: 20 seconds, with CUSTOS_ALL=1 minutes.
custos_bats(soak LABELS token)
set_tests_properties(it_soak PROPERTIES TIMEOUT 1800)
