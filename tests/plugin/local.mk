if HAVE_CHECK
check_PROGRAMS += tests/plugin/test-component tests/plugin/test-context \
	tests/plugin/test-param tests/plugin/test-vet

tests_plugin_test_component_SOURCES  = tests/plugin/test-component.c tests/runner.h
tests_plugin_test_component_CPPFLAGS = $(TEST_CPPFLAGS)
tests_plugin_test_component_LDADD    = $(TEST_LIBS)

tests_plugin_test_context_SOURCES  = tests/plugin/test-context.c tests/runner.h
tests_plugin_test_context_CPPFLAGS = $(TEST_CPPFLAGS)
tests_plugin_test_context_LDADD    = $(TEST_LIBS)

tests_plugin_test_param_SOURCES  = tests/plugin/test-param.c tests/runner.h tests/torture.h
tests_plugin_test_param_CPPFLAGS = $(TEST_CPPFLAGS)
tests_plugin_test_param_LDADD    = $(TEST_LIBS)

tests_plugin_test_vet_SOURCES    = tests/plugin/test-vet.c tests/runner.h tests/temp.h
tests_plugin_test_vet_CPPFLAGS   = $(TEST_CPPFLAGS)
tests_plugin_test_vet_LDADD      = $(TEST_LIBS)
endif
