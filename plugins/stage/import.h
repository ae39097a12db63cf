/* import.h - rows in the shapes that people have become rows with messages. */
#ifndef STAGE_IMPORT_H
#define STAGE_IMPORT_H

#include <retort/json.h>

/* In place.  Shapes are told apart by their keys:
 *   messages, tools?                     OpenAI, TRL (tools may be JSON text)
 *   conversations [{from, value}], system?, tools?     ShareGPT, LLaMA-Factory
 *   instruction, input?, output, system?               Alpaca
 *   prompt, completion or response                     TRL
 *   text, label                                        classes: a label may be a number
 * Arguments that are JSON text become objects.  RT_E_FORMAT when it is none of these, naming
 * the keys that were looked for. */
int import_row(struct rt_json *row, struct rt_error *err);

#endif
