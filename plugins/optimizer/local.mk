plugin_LTLIBRARIES += optimizer-adamw.la
optimizer_adamw_la_SOURCES  = plugins/optimizer/adamw.c
optimizer_adamw_la_CPPFLAGS = $(PLUGIN_INCLUDES)
# The root of a number is that number's root: nothing here looks at errno, and loops become vectors.
optimizer_adamw_la_CFLAGS   = $(AM_CFLAGS) $(KERNEL_CFLAGS)
optimizer_adamw_la_LDFLAGS  = -module $(PLUGIN_LINK)
optimizer_adamw_la_LIBADD   = libretort.la -lm
