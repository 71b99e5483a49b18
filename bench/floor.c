/* A bare loop: epoll_wait, recv, send of one answer made beforehand. It copies that answer at each send,
 * so it is the least that a server can do where the answer is small; sendfile goes below it.
 *
 * It parses nothing: every CRLF CRLF in what it receives ends a request, and every request gets the
 * same octets. What a real server costs beyond this is its own doing; this much is the kernel's.
 *
 *     floor PORT STATUS CONTENT_OCTETS keep|close
 *
 * "close" answers the first request of a connection and closes it; its listener defers the accept
 * until there is data (tcp(7), TCP_DEFER_ACCEPT), so that one recv after accept finds the request.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS = 1 << 16, BATCH = 512, INBOX = 1 << 16, JOINED = 1 << 18 };

struct connection {
    size_t owed;          /* octets still to be sent */
    size_t sent_of_answer; /* of the answer under way */
    unsigned matched;     /* octets of CRLF CRLF seen at the end of the last recv */
};

static struct connection connections[DESCRIPTORS];
static char inbox[INBOX];
static char *answers; /* as many copies of the answer as are sent in one call */
static size_t answer_octets, answers_octets;
static int poller, is_closing;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void compose(const char *status, size_t content_octets)
{
    char head[512];
    int head_octets = snprintf(head, sizeof head,
        "HTTP/1.1 %s\r\n"
        "Server: floor\r\n"
        "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        "Content-Type: application/octet-stream\r\n"
        "Content-Length: %zu\r\n"
        "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        "Connection: %s\r\n"
        "ETag: \"0123456789abcdef\"\r\n"
        "Accept-Ranges: bytes\r\n\r\n",
        status, content_octets, is_closing ? "close" : "keep-alive");
    answer_octets = (size_t)head_octets + content_octets;
    size_t copies = JOINED / answer_octets;
    if (copies == 0)
        copies = 1;
    answers_octets = copies * answer_octets;
    answers = malloc(answers_octets);
    if (answers == NULL)
        die("malloc");
    memset(answers, 'x', answers_octets);
    for (size_t copy = 0; copy < copies; copy++)
        memcpy(answers + copy * answer_octets, head, (size_t)head_octets);
}

/* Count the requests that end in these octets; a terminator may lie across two recv. */
static size_t count_requests(struct connection *connection, const char *octets, size_t count)
{
    size_t requests = 0;
    const char *end = octets + count;
    if (connection->matched == 0 && count >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0) {
        while (octets < end) {
            octets = (const char *)memmem(octets, (size_t)(end - octets), "\r\n\r\n", 4) + 4;
            requests++;
        }
        return requests;
    }
    for (; octets < end; octets++) {
        unsigned matched = connection->matched;
        if (*octets == "\r\n\r\n"[matched])
            matched++;
        else
            matched = *octets == '\r';
        if (matched == 4) {
            requests++;
            matched = 0;
        }
        connection->matched = matched;
    }
    return requests;
}

static void forget(int descriptor)
{
    connections[descriptor] = (struct connection){0};
    close(descriptor); /* which also takes it out of the epoll set: epoll(7) */
}

static void watch(int descriptor, int operation, unsigned events)
{
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(poller, operation, descriptor, &event) < 0)
        die("epoll_ctl");
}

/* Send what is owed: 1 when all is sent, 0 when the peer must read first, -1 when it is gone. */
static int send_owed(int descriptor, struct connection *connection)
{
    while (connection->owed > 0) {
        size_t chunk = answers_octets - connection->sent_of_answer;
        if (chunk > connection->owed)
            chunk = connection->owed;
        ssize_t sent =
            send(descriptor, answers + connection->sent_of_answer, chunk, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        connection->owed -= (size_t)sent;
        connection->sent_of_answer =
            (connection->sent_of_answer + (size_t)sent) % answer_octets;
    }
    return 1;
}

static void on_ready(int descriptor, unsigned events)
{
    struct connection *connection = &connections[descriptor];
    if ((events & EPOLLOUT) == 0) {
        ssize_t received = recv(descriptor, inbox, sizeof inbox, 0);
        if (received < 0 && errno == EAGAIN)
            return;
        if (received <= 0) {
            forget(descriptor);
            return;
        }
        connection->owed += answer_octets * count_requests(connection, inbox, (size_t)received);
        if (connection->owed == 0)
            return;
    }
    int outcome = send_owed(descriptor, connection);
    if (outcome < 0 || (outcome > 0 && is_closing))
        forget(descriptor);
    else if (outcome == 0 && (events & EPOLLOUT) == 0)
        watch(descriptor, EPOLL_CTL_MOD, EPOLLOUT);
    else if (outcome > 0 && (events & EPOLLOUT) != 0)
        watch(descriptor, EPOLL_CTL_MOD, EPOLLIN);
}

/* A deferred accept comes with its request: answer it without asking the poller. */
static void on_deferred(int descriptor)
{
    struct connection *connection = &connections[descriptor];
    ssize_t received = recv(descriptor, inbox, sizeof inbox, 0);
    if (received > 0) {
        connection->owed = answer_octets * count_requests(connection, inbox, (size_t)received);
        if (connection->owed > 0 && send_owed(descriptor, connection) != 0) {
            forget(descriptor);
            return;
        }
    } else if (received == 0 || errno != EAGAIN) {
        forget(descriptor);
        return;
    }
    watch(descriptor, EPOLL_CTL_ADD, connection->owed > 0 ? EPOLLOUT : EPOLLIN);
}

static void on_listener(int listener)
{
    for (;;) {
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (descriptor < 0)
            return;
        if (descriptor >= DESCRIPTORS)
            close(descriptor);
        else if (is_closing)
            on_deferred(descriptor);
        else
            watch(descriptor, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "usage: floor PORT STATUS CONTENT_OCTETS keep|close\n");
        return 2;
    }
    is_closing = strcmp(arguments[4], "close") == 0;
    compose(arguments[2], strtoul(arguments[3], NULL, 10));

    int yes = 1, seconds = 5;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((unsigned short)atoi(arguments[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* inherited: tcp(7) */
    if (is_closing)
        setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    if (listen(listener, 4096) < 0)
        die("listen");
    poller = epoll_create1(0);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);

    static struct epoll_event events[BATCH];
    for (;;) {
        int ready = epoll_wait(poller, events, BATCH, -1);
        for (int index = 0; index < ready; index++) {
            if (events[index].data.fd == listener)
                on_listener(listener);
            else
                on_ready(events[index].data.fd, events[index].events);
        }
    }
}
