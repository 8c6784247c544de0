-- What SoftwareContainer's apps may do with PipeWire. An app's client tells by properties that it cannot change, since they
-- came with the socket that it uses: pipewire.sec.engine, and pipewire.sec.softwarecontainer.media, which is what the
-- manifests of its container allow.
--
-- An app sees the core, what it needs to make streams, and the devices of its media: no other client, no stream of others,
-- no metadata. It has streams only, of its media only, and they are linked with devices of these media only. It calls no
-- methods of devices, unless the setting softwarecontainer.device-formats says so.

log = Log.open_topic ("s-softwarecontainer")

ENGINE = "com.pelagicore.SoftwareContainer"
MEDIA = "pipewire.sec.softwarecontainer.media"
-- The agent registers apps where it finds metadata of this name.
NAME = "softwarecontainer"

-- The devices, and the streams that are linked with them.
DEVICES = {
  playback = { ["Audio/Sink"] = true },
  capture = { ["Audio/Source"] = true, ["Audio/Source/Virtual"] = true },
  camera = { ["Video/Source"] = true },
}
STREAMS = {
  playback = "Stream/Output/Audio",
  capture = "Stream/Input/Audio",
  camera = "Stream/Input/Video",
}
-- What a stream is made of.
FACTORY = "client-node"
-- To see an object, and to call its methods as well. Who may do both may also remove it, for everybody: all but the core.
SEE = "r"
USE = "rx"
-- Whether devices tell apps their formats, which takes a method.
SETTING = "softwarecontainer.device-formats"

apps = ObjectManager {
  Interest {
    type = "client",
    Constraint { "pipewire.sec.engine", "=", ENGINE, type = "pw" },
  }
}
nodes = ObjectManager { Interest { type = "node" } }
factories = ObjectManager {
  Interest {
    type = "factory",
    Constraint { "factory.name", "=", FACTORY },
  }
}

function right_to_devices ()
  return Settings.get_boolean (SETTING) and USE or SEE
end

function media_of (app)
  local media = {}
  for word in string.gmatch (app.properties [MEDIA] or "", "[^,]+") do
    media [word] = true
  end
  return media
end

-- Whether a node is a device of these media.
function is_device_of (media, class)
  for word in pairs (media) do
    if DEVICES [word] and DEVICES [word] [class] then
      return true
    end
  end
  return false
end

-- The media that a node is a stream of, if these media allow it.
function stream_of (media, class)
  for word in pairs (media) do
    if STREAMS [word] ~= nil and STREAMS [word] == class then
      return word
    end
  end
  return nil
end

-- The app that has made a node.
function owner_of (node_properties)
  local id = tonumber (node_properties ["client.id"])
  if id == nil then
    return nil
  end
  return apps:lookup {
    Constraint { "bound-id", "=", id, type = "gobject" },
  }
end

function admit (app)
  local media = media_of (app)
  local permissions = { ["any"] = "-", [0] = USE }
  for factory in factories:iterate () do
    permissions [factory ["bound-id"]] = SEE
  end
  for node in nodes:iterate () do
    if is_device_of (media, node.properties ["media.class"]) and owner_of (node.properties) == nil then
      permissions [node ["bound-id"]] = right_to_devices ()
    end
  end
  log:info (app, "admitting " .. tostring (app.properties ["pipewire.sec.instance-id"]) .. " for " ..
      tostring (app.properties [MEDIA]))
  app:update_permissions (permissions)
end

function on_node (node)
  local class = node.properties ["media.class"]
  local owner = owner_of (node.properties)
  if owner ~= nil then
    if stream_of (media_of (owner), class) == nil then
      log:notice (node, "removing " .. tostring (class) .. " of " ..
          tostring (owner.properties ["pipewire.sec.instance-id"]) .. ", which is not for it")
      node:request_destroy ()
    end
    return
  end
  for app in apps:iterate () do
    if is_device_of (media_of (app), class) then
      app:update_permissions { [node ["bound-id"]] = right_to_devices () }
    end
  end
end

SimpleEventHook {
  name = "linking/softwarecontainer-target",
  after = {
    "linking/find-best-target", "linking/find-default-target", "linking/find-defined-target",
    "linking/find-filter-target", "linking/find-media-role-target", "linking/get-filter-from-target",
  },
  before = "linking/prepare-link",
  interests = {
    EventInterest {
      Constraint { "event.type", "=", "select-target" },
    },
  },
  execute = function (event)
    local target = event:get_data ("target")
    local node = event:get_subject ():get_associated_proxy ("node")
    local owner = node and owner_of (node.properties)
    if target == nil or owner == nil then
      return
    end
    local word = stream_of (media_of (owner), node.properties ["media.class"])
    if word == nil or not DEVICES [word] [target.properties ["media.class"]] then
      log:notice (node, "not linking a stream of " ..
          tostring (owner.properties ["pipewire.sec.instance-id"]) .. " with " ..
          tostring (target.properties ["node.name"]))
      event:set_data ("target", nil)
    end
  end
}:register ()

factories:connect ("object-added", function (_, factory)
  for app in apps:iterate () do
    app:update_permissions { [factory ["bound-id"]] = SEE }
  end
end)
nodes:connect ("object-added", function (_, node) on_node (node) end)
apps:connect ("object-added", function (_, app) admit (app) end)

-- One after the other: who is admitted gets all at once.
factories:connect ("installed", function () nodes:activate () end)
nodes:connect ("installed", function () apps:activate () end)
apps:connect ("installed", function ()
  marker = ImplMetadata (NAME)
  marker:activate (Features.ALL, function (_, failure)
    if failure then
      log:warning ("cannot tell of this script: " .. tostring (failure))
    end
  end)
end)
factories:activate ()
