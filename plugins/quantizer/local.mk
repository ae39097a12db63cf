plugin_LTLIBRARIES += quantizer-gptq.la
quantizer_gptq_la_SOURCES  = plugins/quantizer/gptq.c plugins/quantizer/factor.c \
	plugins/quantizer/factor.h plugins/quantizer/grid.c plugins/quantizer/grid.h
quantizer_gptq_la_CPPFLAGS = $(PLUGIN_INCLUDES)
quantizer_gptq_la_CFLAGS   = $(AM_CFLAGS) -fno-math-errno -O3
quantizer_gptq_la_LDFLAGS  = -module $(PLUGIN_LINK)
quantizer_gptq_la_LIBADD   = libretort.la -lm

plugin_LTLIBRARIES += quantizer-rtn.la
quantizer_rtn_la_SOURCES  = plugins/quantizer/rtn.c plugins/quantizer/grid.c \
	plugins/quantizer/grid.h
quantizer_rtn_la_CPPFLAGS = $(PLUGIN_INCLUDES)
quantizer_rtn_la_CFLAGS   = $(AM_CFLAGS) -fno-math-errno -O3
quantizer_rtn_la_LDFLAGS  = -module $(PLUGIN_LINK)
quantizer_rtn_la_LIBADD   = libretort.la -lm

