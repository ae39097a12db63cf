/* pipeline/graph.h - inputs meet outputs: names, types, order, cycles. */
#ifndef PIPELINE_GRAPH_H
#define PIPELINE_GRAPH_H

#include "pipeline/pipeline.h"

/* Resolve every input, set the configs' fields, find the order; mistakes to the report. */
void graph_build(struct pipeline *p, struct report *report);

#endif
