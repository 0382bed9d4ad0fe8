# Every warning that has earned its place; -Werror is a preset's choice, not a packager's problem.
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2)
if(CUSTOS_WERROR)
  add_compile_options(-Werror)
endif()
