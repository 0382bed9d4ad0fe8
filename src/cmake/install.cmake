# What a package holds: the command, its two helpers where the command looks for them, the manual and an example profile.
install(TARGETS custos RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS custos-token custos-courier RUNTIME DESTINATION ${CUSTOS_HELPER_DIR})
foreach(page custos custos-init custos-token custos-key custos-csr custos-cert custos-target custos-deploy custos-log)
  install(FILES docs/man/${page}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endforeach()
install(FILES docs/man/custos-profile.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES docs/man/custos-exit.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
install(FILES docs/profiles/nginx.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/profiles)
