extension Node {
    /// An SVG picture that another part of the server drew: elements `svg`, `g`, `path` and `rect` with attributes that
    /// draw and nothing else. Anything more (text, script, links, styles, references) makes it an empty node, so that
    /// this is no way around escaping.
    public init(picture svg: String) {
        let attribute =
            #"(?: +(?:xmlns|viewBox|role|aria-label|shape-rendering|width|height|class|fill|stroke|d|x|y)="[^"<>]*")"#
        let element = "<(?:svg|g|path|rect)\(attribute)* */?>|</(?:svg|g|path|rect)>"
        guard let picture = try? Regex("<svg\(attribute)*>(?:\(element)|[ \\n])*</svg>"),
            (try? picture.wholeMatch(in: svg)) != nil
        else {
            self = .none
            return
        }
        self.init(checked: svg)
    }
}
