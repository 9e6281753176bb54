/* What names of block devices mean: whatis /home UUID=... 8:1 */

#include <stdio.h>

#include <peripety.h>

static void show(const char *how, const struct peripety_device *device)
{
    printf("%s %s (%u:%u, %s", how, peripety_device_get_text(device, PERIPETY_DEVICE_NAME),
           peripety_device_get_major(device), peripety_device_get_minor(device),
           peripety_device_get_text(device, PERIPETY_DEVICE_TYPE));
    printf(", by %s) id %s\n", peripety_device_get_text(device, PERIPETY_DEVICE_TRANSPORT),
           peripety_device_get_text(device, PERIPETY_DEVICE_WWID));
    for (size_t i = 0; peripety_device_get_mount_point(device, i) != NULL; i++)
        printf("    mounted on %s\n", peripety_device_get_mount_point(device, i));
}

int main(int argc, char **argv)
{
    struct peripety_error *error = NULL;
    struct peripety_devices *devices = peripety_devices_scan(NULL, &error);
    int failed = devices == NULL;

    for (int i = 1; devices != NULL && i < argc; i++) {
        struct peripety_device *device = peripety_devices_resolve(devices, argv[i], &error);
        if (device == NULL) {
            fprintf(stderr, "%s\n", peripety_error_get_message(error));
            peripety_error_free(error);
            error = NULL;
            failed = 1;
            continue;
        }
        show("is", device);
        for (size_t j = 0; peripety_device_get_below(device, j) != NULL; j++)
            show("  on", peripety_device_get_below(device, j));
        for (size_t j = 0; peripety_device_get_above(device, j) != NULL; j++)
            show("  below", peripety_device_get_above(device, j));
        peripety_device_free(device);
    }
    if (devices == NULL)
        fprintf(stderr, "%s\n", peripety_error_get_message(error));
    peripety_error_free(error);
    peripety_devices_free(devices);
    return failed;
}
