plugin_LTLIBRARIES += format-compressed-tensors.la
format_compressed_tensors_la_SOURCES  = plugins/format/compressed-tensors.c \
	plugins/format/packed.h plugins/format/packed-read.c plugins/format/packed-write.c \
	plugins/format/scheme.c plugins/format/scheme.h
format_compressed_tensors_la_CPPFLAGS = $(PLUGIN_INCLUDES)
format_compressed_tensors_la_LDFLAGS  = -module $(PLUGIN_LINK)
format_compressed_tensors_la_LIBADD   = libretort.la -lm
