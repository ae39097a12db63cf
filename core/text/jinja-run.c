/* jinja-run.c - running the statements of a template. */
#include "text/jinja.h"

static const struct val undefined = { .t = V_UNDEF };

struct val jinja_capture(struct run *x, struct node *n)
{
	struct rt_text old = x->out;
	struct val     v;

	x->out = (struct rt_text)RT_TEXT_INIT;
	jinja_run(x, n);
	v = val_text(x, &x->out);
	x->out = old;
	return v;
}

static void bind(struct run *x, struct node *names, struct val v)
{
	struct list *l;

	if (!names->next) {
		jinja_let(x, x->frame, names->s, names->n, v);
		return;
	}
	l = val_items(x, v);
	for (size_t i = 0; names; names = names->next, i++) {
		if (!l || i >= l->n) {
			pool_fail(&x->pool, RT_E_INVAL, "too few values for the names on the left");
			return;
		}
		jinja_let(x, x->frame, names->s, names->n, l->v[i]);
	}
}

static void run_for(struct run *x, struct node *n)
{
	struct list *all = val_items(x, jinja_eval(x, n->b));
	struct frame f = { .up = x->frame };
	struct val   kept = val_list(x);
	struct loop *loop = pool_take(&x->pool, sizeof *loop);

	x->frame = &f;
	for (size_t i = 0; !x->pool.r && i < all->n; i++) {
		if (n->op) {
			bind(x, n->a, all->v[i]);
			if (!val_true(jinja_eval(x, n->v.u.macro)))
				continue;
		}
		val_append(x, kept, all->v[i]);
	}
	for (size_t i = 0; !x->pool.r && i < kept.u.list->n; i++) {
		f.vars.n = 0; /* what the last round set is gone */
		*loop = (struct loop){ kept.u.list, i, 1 };
		jinja_let(x, &f, "loop", 4, (struct val){ .t = V_LOOP, .u.loop = loop });
		bind(x, n->a, kept.u.list->v[i]);
		jinja_run(x, n->c);
		if (x->leave == 1)
			break;
		x->leave = 0;
	}
	x->leave = 0;
	x->frame = f.up;
	if (!x->pool.r && kept.u.list->n == 0)
		jinja_run(x, n->d);
}

static void assign(struct run *x, struct node *target, struct val v)
{
	struct val space;

	if (target->t != N_ATTR) {
		bind(x, target, v);
		return;
	}
	space = jinja_eval(x, target->a);
	if (space.t != V_SPACE)
		pool_fail(&x->pool, RT_E_INVAL,
		          "only a namespace's attributes can be set, not those of %s",
		          val_name(space));
	else
		val_put(x, space.u.dict,
		        (struct val){ .t = V_STR, .u.s = target->s, .n = target->n }, v);
}

static void call_block(struct run *x, struct node *n)
{
	struct node *macro = pool_take(&x->pool, sizeof *macro);
	struct args  a;
	struct val   f, caller;

	if (!macro || n->a->t != N_CALL) {
		pool_fail(&x->pool, RT_E_FORMAT, "a call block needs a call");
		return;
	}
	macro->b = n->b;
	caller = (struct val){ .t = V_MACRO, .u.macro = macro };
	f = jinja_eval(x, n->a->a);
	jinja_arguments(x, n->a->b, &a);
	if (f.t != V_MACRO)
		pool_fail(&x->pool, RT_E_INVAL, "%s is no macro", val_name(f));
	if (!x->pool.r)
		val_print(x, jinja_macro(x, f.u.macro, &a, &caller), false, &x->out);
}

static void run_one(struct run *x, struct node *n)
{
	struct args a;
	struct val  v;

	switch (n->t) {
	case N_TEXT: rt_text_add_n(&x->out, n->s, n->n); break;
	case N_OUT: val_print(x, jinja_eval(x, n->a), false, &x->out); break;
	case N_IF: jinja_run(x, val_true(jinja_eval(x, n->a)) ? n->b : n->c); break;
	case N_FOR: run_for(x, n); break;
	case N_SET: assign(x, n->a, jinja_eval(x, n->b)); break;
	case N_SETBLOCK:
	case N_FILTERBLOCK:
		v = jinja_capture(x, n->b);
		if (n->t == N_FILTERBLOCK || n->c) {
			struct node *f = n->t == N_FILTERBLOCK ? n->a : n->c;

			jinja_arguments(x, f->b, &a);
			v = x->pool.r ? undefined : filter_call(x, f->s, v, &a);
		}
		if (n->t == N_FILTERBLOCK)
			val_print(x, v, false, &x->out);
		else
			assign(x, n->a, v);
		break;
	case N_MACRO:
		jinja_let(x, x->frame, n->s, n->n, (struct val){ .t = V_MACRO, .u.macro = n });
		break;
	case N_CALLBLOCK: call_block(x, n); break;
	case N_GROUP: jinja_run(x, n->b); break;
	case N_BREAK: x->leave = 1; break;
	case N_CONTINUE: x->leave = 2; break;
	default: break;
	}
	if (x->out.failed)
		pool_fail(&x->pool, RT_E_NOMEM, "out of memory for a template");
	if (x->out.len > JINJA_OUTPUT)
		pool_fail(&x->pool, RT_E_RANGE, "the template writes more than %d MiB",
		          JINJA_OUTPUT >> 20);
}

void jinja_run(struct run *x, struct node *n)
{
	if (++x->pool.depth > JINJA_DEPTH)
		pool_fail(&x->pool, RT_E_RANGE, "too deep");
	for (; n && !x->leave && jinja_step(x, n); n = n->next)
		run_one(x, n);
	x->pool.depth--;
}
