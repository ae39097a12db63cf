plugin_LTLIBRARIES += optimizer-adamw.la optimizer-muon.la
optimizer_adamw_la_SOURCES  = plugins/optimizer/adamw.c plugins/optimizer/adam.h
optimizer_adamw_la_CPPFLAGS = $(PLUGIN_INCLUDES)
# The root of a number is that number's root: nothing here looks at errno, and loops become vectors.
optimizer_adamw_la_CFLAGS   = $(AM_CFLAGS) $(KERNEL_CFLAGS)
optimizer_adamw_la_LDFLAGS  = -module $(PLUGIN_LINK)
optimizer_adamw_la_LIBADD   = libretort.la -lm

optimizer_muon_la_SOURCES  = plugins/optimizer/muon.c plugins/optimizer/adam.h
optimizer_muon_la_CPPFLAGS = $(PLUGIN_INCLUDES)
optimizer_muon_la_CFLAGS   = $(AM_CFLAGS) $(KERNEL_CFLAGS)
optimizer_muon_la_LDFLAGS  = -module $(PLUGIN_LINK)
optimizer_muon_la_LIBADD   = libretort.la -lm
