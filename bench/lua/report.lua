-- What wrk counted, as one line of JSON: exact where wrk's own text is rounded.
-- summary.duration and the latencies are microseconds (wrk's SCRIPTING).
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'report {"requests": %d, "duration_microseconds": %d, "octets": %d, '
            .. '"connect_errors": %d, "read_errors": %d, "write_errors": %d, '
            .. '"status_errors": %d, "timeouts": %d, '
            .. '"p50_microseconds": %d, "p99_microseconds": %d}\n',
        summary.requests, summary.duration, summary.bytes,
        errors.connect, errors.read, errors.write, errors.status, errors.timeout,
        latency:percentile(50), latency:percentile(99)
    ))
end
