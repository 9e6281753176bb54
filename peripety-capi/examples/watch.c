/* Storage failures as they happen, beside a program's other descriptors: watch [OPTION=VALUE]...
 *
 * The options are those of peripety_options_set(): severity=error device=sd* incidents=yes source=journal ... */

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <peripety.h>

static int fail(struct peripety_error *error)
{
    fprintf(stderr, "watch: %s\n", peripety_error_get_message(error));
    peripety_error_free(error);
    return 1;
}

static void show(const struct peripety_item *item)
{
    switch (peripety_item_get_kind(item)) {
    case PERIPETY_ITEM_EVENT:
    case PERIPETY_ITEM_INCIDENT: {
        const char *type = peripety_item_get(item, "/event_type");
        const char *revision = peripety_item_get(item, "/revision");
        printf("%s %s revision %s, dropped %llu, missed %llu: %s\n", type != NULL ? type : "incident",
               peripety_item_get(item, type != NULL ? "/event_id" : "/incident_id"), revision,
               (unsigned long long)peripety_item_get_dropped(item),
               (unsigned long long)peripety_item_get_missed(item), peripety_item_get_text(item));
        break;
    }
    case PERIPETY_ITEM_LIVE:
        puts("live");
        break;
    default: /* a gap, the end of the daemon, or what a later version adds */
        printf("note: %s\n", peripety_item_get_text(item));
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct peripety_error *error = NULL;
    struct peripety_options *options = peripety_options_new();
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value != NULL)
            *value++ = '\0';
        if (peripety_options_set(options, argv[i], value, &error) != 0) {
            peripety_options_free(options);
            return fail(error);
        }
    }
    struct peripety_stream *stream = peripety_stream_open(options, &error);
    peripety_options_free(options);
    if (stream == NULL)
        return fail(error);

    enum peripety_next next = PERIPETY_NEXT_NOTHING;
    while (next != PERIPETY_NEXT_OVER && next != PERIPETY_NEXT_ERROR) {
        struct pollfd polled = { .fd = peripety_stream_get_fd(stream), .events = POLLIN };
        struct peripety_item *item = NULL;
        while ((next = peripety_stream_next(stream, &item, &error)) == PERIPETY_NEXT_ITEM) {
            show(item);
            peripety_item_free(item);
        }
        if (next == PERIPETY_NEXT_NOTHING)
            poll(&polled, 1, -1);
    }
    peripety_stream_free(stream);
    return next == PERIPETY_NEXT_ERROR ? fail(error) : 0;
}
