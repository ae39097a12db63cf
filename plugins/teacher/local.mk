plugin_LTLIBRARIES += teacher-nearest.la
teacher_nearest_la_SOURCES  = plugins/teacher/nearest.c
teacher_nearest_la_CPPFLAGS = $(PLUGIN_INCLUDES)
teacher_nearest_la_LDFLAGS  = -module $(PLUGIN_LINK)
teacher_nearest_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += teacher-local.la
teacher_local_la_SOURCES  = plugins/teacher/local.c \
	plugins/teacher/local-form.c plugins/teacher/local-form.h \
	plugins/teacher/local-user.c plugins/teacher/local-user.h
teacher_local_la_CPPFLAGS = $(PLUGIN_INCLUDES)
teacher_local_la_LDFLAGS  = -module $(PLUGIN_LINK)
teacher_local_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += teacher-openai.la
OPENAI_SOURCES = plugins/teacher/openai.c plugins/teacher/openai.h \
	plugins/teacher/openai-ask.c \
	plugins/teacher/openai-cache.c plugins/teacher/openai-cache.h \
	plugins/teacher/openai-http.c plugins/teacher/openai-http.h \
	plugins/teacher/openai-keep.c \
	plugins/teacher/openai-reply.c plugins/teacher/openai-reply.h \
	plugins/teacher/openai-request.c plugins/teacher/openai-request.h \
	plugins/teacher/openai-wait.c plugins/teacher/openai-wait.h
teacher_openai_la_SOURCES  = $(OPENAI_SOURCES)
teacher_openai_la_CPPFLAGS = $(PLUGIN_INCLUDES) $(CURL_CFLAGS) $(SQLITE_CFLAGS)
teacher_openai_la_LDFLAGS  = -module $(PLUGIN_LINK)
teacher_openai_la_LIBADD   = libretort.la $(CURL_LIBS) $(SQLITE_LIBS) -lm -lpthread

plugin_LTLIBRARIES += teacher-replay.la
teacher_replay_la_SOURCES  = plugins/teacher/replay.c
teacher_replay_la_CPPFLAGS = $(PLUGIN_INCLUDES)
teacher_replay_la_LDFLAGS  = -module $(PLUGIN_LINK)
teacher_replay_la_LIBADD   = libretort.la
