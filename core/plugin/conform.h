/* plugin/conform.h - does a plugin keep the contract of its kind?
 *
 * Every check runs in a process of its own: a crash, a hang and a write outside the outputs are
 * findings.  Start no threads before: they do not survive a fork. */
#ifndef PLUGIN_CONFORM_H
#define PLUGIN_CONFORM_H

#include "plugin/trial.h"

/* One line of the report; reason is "" for a check that passed. */
typedef void conform_fn(void *arg, enum trial_result result, const char *check, const char *reason);

/* set: "key=value" texts up to NULL, for parameters that cannot be made up.  The error is for what
 * keeps the checks from being made; findings are told through say. */
int conform_plugin(const struct rt_plugin *plugin, const char *const *set, conform_fn *say,
                   void *arg, struct rt_error *err);

#endif
