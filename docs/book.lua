-- book.lua - what becomes of links, figures and blocks when a text turns into a page of the
-- book: a filter for pandoc. book.sh runs it from the root of the repository and says in the
-- environment which text it is (BOOK_TEXT), where the list of all pages is (BOOK_PAGES: path,
-- page, title) and where to note a file of source that was linked to (BOOK_LISTINGS).
--
-- What is wrong with the text is said on stderr, and book.sh fails for it.

local text_path = os.getenv("BOOK_TEXT")
local folder = text_path:match("^.*/") or ""

-- ---- The pages of the book ----

local pages = {}   -- in order: path, page, title
local page_of = {} -- the page of a path
local here         -- the position of this text; nil for a listing

for line in io.lines(os.getenv("BOOK_PAGES")) do
    local path, page, title = line:match("^(.-)\t(.-)\t(.*)$")
    pages[#pages + 1] = { path = path, page = page, title = title }
    page_of[path] = page
    if path == text_path then here = #pages end
end

-- The inlines of a line of Markdown.
local function parsed(line)
    return pandoc.read("# " .. line, "gfm+tex_math_dollars+smart").blocks[1].content
end

local function complain(...)
    io.stderr:write(string.format(...), "\n")
end

-- A path that stands in this text, as seen from the root; nil if it leads out of it.
local function from_root(path)
    local parts = {}
    path = path:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
    if path:sub(1, 1) ~= "/" then path = folder .. path end
    for part in path:gmatch("[^/]+") do
        if part == ".." then
            if not table.remove(parts) then return nil end
        elseif part ~= "." then
            parts[#parts + 1] = part
        end
    end
    return table.concat(parts, "/")
end

-- The bytes of a file: false for a folder, nil if there is none.
local function read(path)
    local file = path and io.open(path == "" and "." or path, "rb")
    if not file then return nil end
    local bytes = file:read("a")
    file:close()
    return bytes or false
end

-- ---- Links and figures ----

-- A text links to its page, a file of source to a listing of it. What has no page, a folder
-- or a file of numbers, is not linked to.
local function page_for(target)
    local path, anchor = target:match("^([^#]*)(.*)$")
    local file = from_root(path)
    local page = file and (page_of[file] or page_of[(file .. "/README.md"):gsub("^/", "")])
    if page then return page .. anchor end
    local bytes = read(file)
    if bytes == nil then complain("there is no %s to link to", path) end
    if not bytes or bytes:find("\0") then return nil end
    page = file:gsub("/", "-") .. ".html"
    local listings = io.open(os.getenv("BOOK_LISTINGS"), "a")
    listings:write(file, "\t", page, "\n")
    listings:close()
    return page
end

local function is_outside(target)
    return target:match("^%a[%w+.-]*:") or target:match("^//")
end

local function rewrite_link(link)
    if is_outside(link.target) or link.target:match("^#") then return nil end
    local page = page_for(link.target)
    if not page then return link.content end
    link.target = page
    return link
end

-- A figure becomes part of the page. It stays an image, so that its styles and the page's
-- never meet; it still follows the reader's light or dark theme.
local function embed_figure(image)
    if is_outside(image.src) or not image.src:match("%.svg$") then
        complain("%s is no SVG file of this repository", image.src)
        return image.caption
    end
    local svg = read(from_root(image.src))
    if not svg then
        complain("there is no figure %s", image.src)
        return image.caption
    end
    if tonumber(svg:match("<svg[^>]- width=\"(%d+)") or 0) > 500 then
        image.classes:insert("wide")
    end
    image.src = "data:image/svg+xml," ..
        svg:gsub("[^%w/=:;,.-]", function(c) return ("%%%02X"):format(c:byte()) end)
    return image
end

-- A picture that is a paragraph by itself is a figure; its title is shown below it.
local function set_figure(paragraph)
    local image = paragraph.content[1]
    if #paragraph.content ~= 1 or image.t ~= "Image" then return nil end
    local blocks = pandoc.List { pandoc.RawBlock("html", "<figure>"), pandoc.Plain { image } }
    if image.title ~= "" then
        local caption = parsed(image.title)
        blocks:insert(pandoc.RawBlock("html", "<figcaption>"))
        blocks:insert(pandoc.Plain(caption))
        blocks:insert(pandoc.RawBlock("html", "</figcaption>"))
        image.title = ""
    end
    blocks:insert(pandoc.RawBlock("html", "</figure>"))
    return blocks
end

-- ---- Blocks ----

local function escaped(text)
    return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

-- What was typed is told from what was answered. A command goes on behind a backslash.
local function set_console(block)
    if block.classes[1] ~= "console" then return nil end
    local lines, goes_on = {}, false
    for line in (escaped(block.text) .. "\n"):gmatch("(.-)\n") do
        local typed = goes_on and line or line:match("^%$ (.*)$")
        if typed then
            line = (goes_on and "" or "<b>$</b> ") .. "<kbd>" .. typed .. "</kbd>"
        end
        goes_on = typed and typed:match("\\$")
        lines[#lines + 1] = line
    end
    return pandoc.RawBlock("html", "<pre class=\"console\"><code>" ..
        table.concat(lines, "\n") .. "</code></pre>")
end

-- A comment is not shown; where it put code into the text, it says which file that is.
local function set_raw(raw)
    local file = raw.text:match("^<!%-%- weave: (%S+)")
    if file and raw.t == "RawBlock" then
        return pandoc.RawBlock("html", "<p class=\"file\">" .. escaped(file) .. "</p>")
    end
    raw.text = raw.text:gsub("<!%-%-.-%-%->", "")
    local tag = raw.text:lower()
    if tag:match("<script") or tag:match("<style") or tag:match("%s(src)%s*=") or
        tag:match("%shref%s*=") then
        complain("write this in Markdown: %s", raw.text:gsub("%s+", " "))
    end
    return raw
end

-- In a box that scrolls when the page is narrow.
local function set_table(content)
    return pandoc.Div({ content }, pandoc.Attr("", { "table" }))
end

local function set_formula(math)
    math.text = math.text:gsub("%s+", " ")
    if math.mathtype == "InlineMath" then return math end
    return pandoc.Span({ math }, pandoc.Attr("", { "formula" }))
end

-- ---- What stands around the text ----

-- Takes the "4." away from "4. GPT: a stack of blocks" and returns it; nil if there is none.
local function take_number(title)
    local number = title[1] and title[1].text and title[1].text:match("^(%d+)%.$")
    if not number then return nil end
    title:remove(1)
    if title[1] and title[1].t == "Space" then title:remove(1) end
    return number
end

local function entry(page)
    local title = parsed(page.title)
    local number = take_number(title)
    local link = pandoc.Link(title, page.page)
    local mark = pandoc.Span({ pandoc.Str(number or "") }, pandoc.Attr("", { "number" }))
    return pandoc.Plain(number and { mark, link } or { link })
end

-- All pages but this one. The chapters are a list of their own, and what belongs to a
-- chapter stands below it.
local function contents()
    local blocks, list, of_chapters = pandoc.List {}, nil, nil
    for i = 2, #pages do
        local chapter, name = pages[i].path:match("^chapters/([^/]+)/(.*)$")
        if list and chapter and name ~= "README.md" and of_chapters then
            list[#list]:insert(pandoc.BulletList { { entry(pages[i]) } })
        else
            if not list or of_chapters ~= (chapter ~= nil) then
                list, of_chapters = pandoc.List {}, chapter ~= nil
                blocks:insert(list)
            end
            list:insert(pandoc.List { entry(pages[i]) })
        end
    end
    return pandoc.Div(blocks:map(pandoc.BulletList), pandoc.Attr("contents", { "contents" }))
end

-- The title of a neighbour, or what stands before its colon.
local function describe(page)
    local title = pandoc.utils.stringify(parsed(page.title))
    return { page = page.page, title = title, short = title:match("^[^:]+") }
end

-- The first heading is the title of the page, and no part of its text.
local function take_title(document)
    local blocks, meta = document.blocks, document.meta
    local _, at = blocks:find_if(function(block) return block.t == "Header" end)
    local heading = at and blocks[at].level == 1 and blocks:remove(at)
    local title = heading and heading.content or pandoc.List { pandoc.Str(text_path) }
    meta.pagetitle = pandoc.utils.stringify(title)
    meta.anchor = heading and heading.identifier
    meta.number = take_number(title)
    meta.title = pandoc.MetaInlines(title)
end

local function set_page(document)
    local meta = document.meta
    take_title(document)
    meta.previous = here and pages[here - 1] and describe(pages[here - 1])
    meta.next = here and pages[here + 1] and describe(pages[here + 1])
    meta.home = pages[1].page
    if here == 1 then
        local _, at = document.blocks:find_if(function(b) return b.t == "Header" end)
        document.blocks:insert(at or #document.blocks + 1, contents())
    else
        meta.book = pandoc.utils.stringify(parsed(pages[1].title))
    end
    return document
end

return {
    { Link = rewrite_link, Image = embed_figure, Math = set_formula },
    { Para = set_figure, CodeBlock = set_console, Table = set_table,
      RawBlock = set_raw, RawInline = set_raw },
    { Pandoc = set_page },
}
