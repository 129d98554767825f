-- common.lua - what every workload's script shares: one line of figures at the end.
--
--   FIGURES requests/s p50_us p99_us requests answers-other-than-2xx socket-errors

function done(summary, latency)
	local errors = summary.errors
	io.write(string.format("FIGURES %.0f %d %d %d %d %d\n",
		summary.requests / (summary.duration / 1e6),
		latency:percentile(50), latency:percentile(99), summary.requests, errors.status,
		errors.connect + errors.read + errors.write + errors.timeout))
end

-- The n-th record's id: 15 characters, as both servers take them from a client.
function id_of(n)
	return string.format("item%011d", n)
end

-- The n-th record, always as long as every other, so that a request can be made by one concatenation.
-- with_id: the client brings the id.
function body_of(n, with_id)
	local id = with_id and string.format('"id":"%s",', id_of(n)) or ""
	return string.format(
		'{%s"title":"Title of item %07d","amount":%07d.5,"body":"%s","active":true}', id, n,
		1000000 + n, string.rep("The quick brown fox. ", 5):sub(1, 100))
end

-- A POST of a record as bytes; made by hand, since wrk.format would cost more than the peer's work.
function post_of(path, body)
	return string.format(
		"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n" ..
			"Content-Length: %d\r\n\r\n%s", path, #body, body)
end
