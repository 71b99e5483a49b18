-- Every request asks for another range of the length that the Range field has. The first position has
-- five digits, and so has the last, so that all answers are as long.
dofile("report.lua")

local first, octets

function init()
    local from, to = wrk.headers["Range"]:match("bytes=(%d+)%-(%d+)")
    octets = to - from + 1
    first = 10000
end

function request()
    first = first + 1
    if first + octets > 99999 then
        first = 10000
    end
    wrk.headers["Range"] = string.format("bytes=%d-%d", first, first + octets - 1)
    return wrk.format()
end
