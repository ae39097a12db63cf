/* openai-wait.h - when to try again: what servers say in headers, and our own patience.
 *
 * Retry-After is RFC 9110, 10.2.3 (seconds, or a date); x-ratelimit-* is as OpenAI sends it, with
 * durations such as "6m0s" and "20ms". */
#ifndef TEACHER_OPENAI_WAIT_H
#define TEACHER_OPENAI_WAIT_H

#include <stddef.h>
#include <stdint.h>

/* What one answer's headers said.  Seconds from its arrival; NAN: nothing. */
struct openai_wait {
	double retry_after;
	double reset[2];     /* of the limit on requests, and on tokens */
	double remaining[2]; /* until which so many may still be asked for */
};

#define OPENAI_WAIT_NONE                                                                           \
	(struct openai_wait)                                                                       \
	{                                                                                          \
		NAN, { NAN, NAN },                                                                 \
		{                                                                                  \
			NAN, NAN                                                                   \
		}                                                                                  \
	}

/* Take notice of a header line of n bytes.  now: seconds since 1970. */
void openai_wait_header(struct openai_wait *w, const char *line, size_t n, int64_t now);

/* How long nothing should be asked, 0 when the headers do not say. */
double openai_wait_told(const struct openai_wait *w);

/* Seconds until attempt 1, 2, ...: half a second, doubled each time up to a minute, times a
 * number from 0.5 to 1.5 that `uniform` in [0, 1) chooses. */
double openai_wait_own(int64_t attempt, double uniform);

#endif
