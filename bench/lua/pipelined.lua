-- Sixteen requests in one send; wrk counts each answer.
dofile("report.lua")

local requests

function init()
    requests = wrk.format():rep(16)
end

function request()
    return requests
end
