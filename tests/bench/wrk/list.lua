-- list.lua PATH COUNT KIND - a page of 30 with its total, another one each time
--
--   plain      any page                               of all
--   indexed    the 30 below another amount, by an index on it, without the total
--   unindexed  the first page, sorted by the title    of those whose amount is above another bound
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

local requests, at = {}, 0

function init(args)
	local path, count, kind = args[1], tonumber(args[2]), args[3]
	math.randomseed(8090)
	for n = 1, 1000 do
		local query = "page=" .. math.random(math.floor(count / 30))
		if kind == "unindexed" then
			query = string.format("sort=-title&filter=amount+%%3E+%d", 1000000 + math.random(math.floor(count / 2)))
		end
		if kind == "indexed" then
			query = string.format("skipTotal=1&sort=-amount&filter=amount+%%3C+%d", 1000100 + math.random(count - 100))
		end
		requests[n] = string.format("GET %s?perPage=30&%s HTTP/1.1\r\nHost: bench\r\n\r\n", path, query)
	end
end

function request()
	at = at % #requests + 1
	return requests[at]
end
