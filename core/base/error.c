/* error.c - see retort/error.h */
#include <retort/error.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Cut a message that did not fit: "..." at the end, no half character before it. */
static void trim(char *msg, size_t size)
{
	size_t end = size - 4;

	while (end > 0 && ((unsigned char)msg[end] & 0xc0) == 0x80)
		end--;
	memcpy(msg + end, "...", 4);
}

static void vset(struct rt_error *err, int code, const char *fmt, va_list ap)
{
	int n;

	if (!err)
		return;
	err->code = code;
	n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	if (n >= (int)sizeof err->msg)
		trim(err->msg, sizeof err->msg);
}

int rt_fail(struct rt_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vset(err, code, fmt, ap);
	va_end(ap);
	return code;
}

/* What a user can do about it, for the errors that users meet. */
static const char *remedy(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT: return "; make room and run again, finished work is kept";
	case EROFS: return "; choose a place that can be written";
	case EACCES:
	case EPERM: return "; check owner and mode";
	case EMFILE:
	case ENFILE: return "; raise the limit (ulimit -n)";
	default: return "";
	}
}

int rt_fail_errno(struct rt_error *err, const char *fmt, ...)
{
	const int number = errno;
	const int code = number == ENOMEM ? RT_E_NOMEM : number == ENOENT ? RT_E_NOENT : RT_E_IO;
	char      text[128] = "";
	size_t    n;
	va_list   ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vset(err, code, fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	if (strerror_r(number, text, sizeof text) != 0)
		snprintf(text, sizeof text, "error %d", number);
	if (snprintf(err->msg + n, sizeof err->msg - n, ": %s%s", text, remedy(number)) >=
	    (int)(sizeof err->msg - n))
		trim(err->msg, sizeof err->msg);
	return code;
}

int rt_fail_nomem(struct rt_error *err, const char *what)
{
	return rt_fail(err, RT_E_NOMEM, "out of memory for %s", what);
}

int rt_within(struct rt_error *err, int code, const char *fmt, ...)
{
	struct rt_error outer;
	va_list         ap;
	size_t          n;

	if (!err)
		return code;
	va_start(ap, fmt);
	vset(&outer, code, fmt, ap);
	va_end(ap);
	n = strlen(outer.msg);
	if (snprintf(outer.msg + n, sizeof outer.msg - n, ": %s", err->msg) >=
	    (int)(sizeof outer.msg - n))
		trim(outer.msg, sizeof outer.msg);
	*err = outer;
	return code;
}

const char *rt_code_text(int code)
{
	switch (code) {
	case RT_OK: return "success";
#define RT_X(name, num, text)                                                                      \
	case RT_E_##name: return text;
		RT_ERROR_MAP(RT_X)
#undef RT_X
	default: return "unknown error";
	}
}
