plugin_LTLIBRARIES += tool-exec.la
tool_exec_la_SOURCES  = plugins/tool/exec.c plugins/tool/process.c plugins/tool/process.h
tool_exec_la_CPPFLAGS = $(PLUGIN_INCLUDES)
tool_exec_la_LDFLAGS  = -module $(PLUGIN_LINK)
tool_exec_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += tool-table.la
tool_table_la_SOURCES  = plugins/tool/table.c plugins/tool/table-read.c plugins/tool/table.h
tool_table_la_CPPFLAGS = $(PLUGIN_INCLUDES)
tool_table_la_LDFLAGS  = -module $(PLUGIN_LINK)
tool_table_la_LIBADD   = libretort.la -lm
