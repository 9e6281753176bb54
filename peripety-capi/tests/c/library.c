/* Everything that C can ask without a daemon, on this machine. Run plainly, under valgrind, and with AddressSanitizer. */

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peripety.h>

#define CHECK(is) \
    do { \
        if (!(is)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #is); \
            exit(1); \
        } \
    } while (0)

static void expect(struct peripety_error *error, enum peripety_error_kind kind, const char *says)
{
    CHECK(peripety_error_get_kind(error) == kind);
    CHECK(strstr(peripety_error_get_message(error), says) != NULL);
    peripety_error_free(error);
}

static void *resolve_all(void *shared)
{
    const struct peripety_devices *devices = shared;
    for (size_t i = 0; i < peripety_devices_count(devices); i++) {
        const struct peripety_device *device = peripety_devices_get(devices, i);
        char number[64];
        struct peripety_error *error = NULL;
        snprintf(number, sizeof number, "%u:%u", peripety_device_get_major(device),
                 peripety_device_get_minor(device));
        struct peripety_device *same = peripety_devices_resolve(devices, number, &error);
        CHECK(same != NULL && error == NULL);
        CHECK(strcmp(peripety_device_get_text(same, PERIPETY_DEVICE_NODE),
                     peripety_device_get_text(device, PERIPETY_DEVICE_NODE)) == 0);
        CHECK(strcmp(peripety_device_get_json(same), peripety_device_get_json(device)) == 0);
        for (unsigned field = 0; field < 20; field++)
            CHECK(peripety_device_get_text(device, field) != NULL);
        CHECK(peripety_device_get_text(device, PERIPETY_DEVICE_NAME)[0] != '\0');
        peripety_device_free(same);
    }
    return NULL;
}

int main(void)
{
    struct peripety_error *error = NULL;
    CHECK(strlen(peripety_version()) >= 5);

    struct peripety_devices *devices = peripety_devices_scan(NULL, &error);
    CHECK(devices != NULL && error == NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, resolve_all, devices) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(peripety_devices_resolve(devices, "no-such-disk", &error) == NULL);
    expect(error, PERIPETY_ERROR_UNKNOWN_DEVICE, "no-such-disk");
    CHECK(peripety_devices_resolve(devices, "/dev/null", &error) == NULL);
    expect(error, PERIPETY_ERROR_NOT_A_DEVICE, "character device");
    CHECK(peripety_devices_resolve(devices, "", NULL) == NULL);
    char *huge = malloc(1 << 20);
    memset(huge, 'x', (1 << 20) - 1);
    huge[(1 << 20) - 1] = '\0';
    CHECK(peripety_devices_resolve(devices, huge, &error) == NULL);
    peripety_error_free(error);
    peripety_devices_free(devices);

    struct peripety_options *options = peripety_options_new();
    CHECK(peripety_options_set(options, "socket", "/nowhere/peripety.sock", &error) == 0 && error == NULL);
    CHECK(peripety_options_set(options, "device", "sd*", NULL) == 0);
    CHECK(peripety_options_set(options, "severity", huge, &error) == -1);
    expect(error, PERIPETY_ERROR_ARGUMENT, "is no severity");
    CHECK(peripety_options_set(options, NULL, NULL, &error) == -1);
    expect(error, PERIPETY_ERROR_ARGUMENT, "name is NULL");
    CHECK(peripety_stream_open(options, &error) == NULL);
    expect(error, PERIPETY_ERROR_NO_DAEMON, "/nowhere/peripety.sock");

    /* An empty journal: live, and then nothing until the time is over; a descriptor all the same. */
    char directory[] = "/tmp/peripety-capi-XXXXXX";
    CHECK(mkdtemp(directory) != NULL);
    CHECK(peripety_options_set(options, "source", "journal", NULL) == 0);
    CHECK(peripety_options_set(options, "journal", directory, NULL) == 0);
    CHECK(peripety_options_set(options, "start", "stored", NULL) == 0);
    struct peripety_stream *stream = peripety_stream_open(options, &error);
    CHECK(stream != NULL && error == NULL && peripety_stream_get_fd(stream) >= 0);
    struct peripety_item *item = NULL;
    CHECK(peripety_stream_wait(stream, 0, &item, &error) == PERIPETY_NEXT_ITEM);
    CHECK(peripety_item_get_kind(item) == PERIPETY_ITEM_LIVE);
    CHECK(peripety_item_get(item, "/event_type") == NULL && peripety_item_get_severity(item) == -1);
    peripety_item_free(item);
    CHECK(peripety_stream_wait(stream, 10, &item, &error) == PERIPETY_NEXT_NOTHING && item == NULL);
    peripety_stream_free(stream);
    CHECK(peripety_options_set(options, "follow", "no", NULL) == 0);
    stream = peripety_stream_open(options, NULL);
    CHECK(peripety_stream_next(stream, &item, &error) == PERIPETY_NEXT_OVER && item == NULL);
    CHECK(peripety_stream_next(stream, &item, &error) == PERIPETY_NEXT_OVER);
    peripety_stream_free(stream);
    CHECK(remove(directory) == 0);
    peripety_options_free(options);

    CHECK(peripety_ask("/nowhere/peripety.sock", "status", NULL, NULL, &error) == NULL);
    expect(error, PERIPETY_ERROR_NO_DAEMON, "no peripetyd listens");
    free(huge);
    puts("ok");
    return 0;
}
