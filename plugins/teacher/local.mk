plugin_LTLIBRARIES += teacher-nearest.la
teacher_nearest_la_SOURCES  = plugins/teacher/nearest.c
teacher_nearest_la_CPPFLAGS = $(PLUGIN_INCLUDES)
teacher_nearest_la_LDFLAGS  = -module $(PLUGIN_LINK)
teacher_nearest_la_LIBADD   = libretort.la -lm


plugin_LTLIBRARIES += teacher-local.la
teacher_local_la_SOURCES  = plugins/teacher/local.c
teacher_local_la_CPPFLAGS = $(PLUGIN_INCLUDES)
teacher_local_la_LDFLAGS  = -module $(PLUGIN_LINK)
teacher_local_la_LIBADD   = libretort.la -lm
