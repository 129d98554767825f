-- get.lua PATH COUNT - one record by id, another one each time
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

local requests, at = {}, 0

function init(args)
	math.randomseed(8090)
	for n = 1, tonumber(args[2]) do
		requests[n] = string.format("GET %s/%s HTTP/1.1\r\nHost: bench\r\n\r\n", args[1], id_of(n))
	end
	for n = #requests, 2, -1 do
		local other = math.random(n)
		requests[n], requests[other] = requests[other], requests[n]
	end
end

function request()
	at = at % #requests + 1
	return requests[at]
end
