-- wrk script: requests whose records are rows of a file, each connection's next request another row.
--   wrk … -s post.lua URL -- KIND FILE RECORDS PATH…
-- KIND: topic (POST of the v2 JSON format) or stream (PUT of one record); several PATHs take turns, and with
-- them the files, if FILE names several with commas between.
local requests, at = {}, 0

local function read(file)
  local rows = {}
  for line in io.lines(file) do
    rows[#rows + 1] = line
    if #rows == 2000 then break end
  end
  return rows
end

function init(arguments)
  local kind, records = arguments[1], tonumber(arguments[3])
  local files = {}
  for file in arguments[2]:gmatch("[^,]+") do files[#files + 1] = read(file) end
  local paths = {}
  for i = 4, #arguments do paths[#paths + 1] = arguments[i] end
  local count = math.max(#paths, math.floor(2000 / records))
  for i = 1, count do
    local path, body = paths[(i - 1) % #paths + 1], nil
    local rows = files[(i - 1) % #files + 1]
    if kind == "stream" or path:find("^/streams/") then
      body = '{"StreamName":"x","Data":' .. rows[i % #rows + 1] .. ',"PartitionKey":"' .. i .. '"}'
      requests[i] = wrk.format("PUT", path, { ["Content-Type"] = "application/json" }, body)
    else
      local values = {}
      for k = 1, records do values[k] = '{"value":' .. rows[(i * records + k) % #rows + 1] .. '}' end
      body = '{"records":[' .. table.concat(values, ",") .. ']}'
      requests[i] = wrk.format("POST", path, { ["Content-Type"] = "application/vnd.kafka.json.v2+json" }, body)
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
