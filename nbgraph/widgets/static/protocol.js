// Protocol: the messages between the kernel and a view, as types. tests/widgets/test_protocol.py checks Python's side
// against them, `tsc` the side of these files. No widget carries this file.

/** @typedef {"idle" | "waiting" | "running" | "done" | "failed" | "paused" | "changed" | "pinned"} State */

/**
 * One step's figures in a status: a tuple, since a thousand of them are sent 25 times a second; `Figures` in Python.
 * @typedef {[state: State, events: number, errors: number, middle: number, slow: number, rate: number, note: string, level: number]} Figures
 */

// --- what is synced ---

/**
 * @typedef {object} Step
 * @property {string} id
 * @property {string} name
 * @property {string} type
 * @property {string} path
 */
/**
 * @typedef {object} Line
 * @property {string} id
 * @property {string} source
 * @property {string} target
 */
/**
 * @typedef {object} Picture
 * @property {string} name
 * @property {string} svg
 * @property {string} problem
 * @property {Record<string, string>} marks
 * @property {Step[]} steps
 * @property {Line[]} lines
 * @property {number} [folds]
 * @property {boolean} [isFolded]
 * @property {Record<string, string>} [functions]
 * @property {Record<string, string>} [of]
 */
/**
 * @typedef {object} Sheet
 * @property {string} text
 * @property {string} problem
 * @property {string[]} problems
 * @property {number} undo
 * @property {number} redo
 * @property {Record<string, SheetStep>} steps
 */
/**
 * @typedef {object} SheetStep
 * @property {string} name
 * @property {boolean} answers
 * @property {Arrow[]} arrows
 * @property {Field[]} form
 */
/**
 * @typedef {object} Arrow
 * @property {string} target
 * @property {string | null} when
 * @property {boolean} otherwise
 * @property {string} kind
 */
/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} text
 * @property {string} default
 * @property {boolean} required
 */
/**
 * @typedef {object} Offer
 * @property {string} name
 * @property {string} signature
 * @property {string} about
 * @property {string} group
 */
/**
 * @typedef {object} About
 * @property {string} name
 * @property {string} url
 * @property {string[]} functions
 */
/**
 * @typedef {object} Parity
 * @property {string} words
 * @property {boolean} isEqual
 * @property {Shown} table
 */

// --- values ---

/**
 * A value as a tree: a leaf has its text, a container items, a table rows, a picture or a page data.
 * @typedef {object} Shown
 * @property {string} kind
 * @property {string} text
 * @property {[key: string, item: Shown][]} [items]
 * @property {number} [more]
 * @property {boolean} [deep]
 * @property {boolean} [late]
 * @property {string[]} [columns]
 * @property {string[][]} [rows]
 * @property {number} [total]
 * @property {string} [ref]
 * @property {string} [type]
 * @property {string} [data]
 * @property {string} [values]
 * @property {Shown} [picture]
 * @property {string} [html]
 */
/**
 * Where the kernel finds a value: a step's last one, or that of a frame.
 * @typedef {object} Of
 * @property {string} [step]
 * @property {number | null} [index]
 * @property {number | null} [branch]
 * @property {string} side
 */
/**
 * A call: of a step in an event's way, or one that a step made itself.
 * @typedef {object} Call
 * @property {string} step
 * @property {number} ms
 * @property {string} reason
 * @property {string} error
 * @property {string} printed
 * @property {Shown | null} input
 * @property {Shown | null} output
 */

// --- from the kernel ---

/**
 * @typedef {object} Progress
 * @property {number} done
 * @property {number | null} total
 * @property {number} rate
 */
/**
 * @typedef {object} Status
 * @property {"status"} kind
 * @property {Record<string, Figures>} steps
 * @property {Record<string, number>} lines
 * @property {boolean} running
 * @property {Progress | null} [progress]
 */
/**
 * @typedef {object} Inspected
 * @property {"inspected"} kind
 * @property {string} step
 * @property {string} name
 * @property {Record<string, number>} facts
 * @property {Record<string, number | string>} statistics
 * @property {string} note
 * @property {string} code
 * @property {string} printed
 * @property {boolean} isHeld
 * @property {Call[]} inside
 * @property {string} event
 * @property {number} [visit]
 * @property {Shown | null} input
 * @property {Shown | null} output
 * @property {[path: string, before: Shown, after: Shown][]} [diff]
 * @property {boolean} [inputIsRich]
 * @property {boolean} [outputIsRich]
 * @property {string} error
 * @property {string} reason
 * @property {number} seconds
 * @property {string[]} goes
 * @property {boolean} [dropped]
 */
/**
 * A frame of a debugged run; `index` is null for the one to come.
 * @typedef {object} FrameDetail
 * @property {string} name
 * @property {number | null} index
 * @property {string} event
 * @property {number} visit
 * @property {Shown | null} input
 * @property {Shown | null} output
 * @property {boolean} inputIsRich
 * @property {boolean} outputIsRich
 * @property {string} text
 * @property {string} gave
 * @property {[path: string, before: Shown, after: Shown][]} diff
 * @property {boolean} compared
 * @property {string} error
 * @property {string} note
 * @property {string} code
 * @property {string} printed
 * @property {Record<string, number>} facts
 * @property {string} reason
 * @property {Call[]} inside
 * @property {number} seconds
 * @property {string[]} goes
 * @property {boolean} dropped
 * @property {string} [route]
 */
/** @typedef {FrameDetail & FramePlace} Frame */
/**
 * @typedef {object} FramePlace
 * @property {"frame"} kind
 * @property {string} step
 * @property {number | null} branch
 */
/**
 * @typedef {object} DebugState
 * @property {"debug"} kind
 * @property {false} busy
 * @property {boolean} stopped
 * @property {string} at
 * @property {FrameDetail | null} current
 * @property {[step: string, name: string, failed: boolean][]} frames
 * @property {number} skipped
 * @property {boolean} finished
 * @property {Shown} answer
 * @property {string} error
 * @property {string} problem
 * @property {Fork[]} branches
 * @property {string[]} pins
 * @property {Record<string, Breakpoint>} breakpoints
 * @property {[text: string, value: Shown][]} watches
 */
/**
 * @typedef {object} DebugBusy
 * @property {"debug"} kind
 * @property {true} busy
 * @property {LongCall | null} running
 */
/**
 * A step whose call takes long.
 * @typedef {object} LongCall
 * @property {string} step
 * @property {number} seconds
 * @property {string} line
 */
/**
 * @typedef {object} Fork
 * @property {string} step
 * @property {number} frames
 */
/**
 * @typedef {object} Breakpoint
 * @property {string} when
 * @property {number} hits
 * @property {string} on
 * @property {number} seen
 * @property {boolean} muted
 */
/**
 * @typedef {object} EventRow
 * @property {string} id
 * @property {number} steps
 * @property {number | null} ms
 * @property {string} error
 * @property {string} handled
 * @property {string} last
 * @property {boolean} failed
 */
/**
 * @typedef {object} EventRows
 * @property {"events"} kind
 * @property {EventRow[]} rows
 */
/**
 * @typedef {object} EventPath
 * @property {"event"} kind
 * @property {string} id
 * @property {Call[]} stops
 */
/**
 * @typedef {object} LineEvents
 * @property {"line"} kind
 * @property {string} line
 * @property {string} title
 * @property {LineEvent[]} rows
 */
/**
 * @typedef {object} LineEvent
 * @property {string} id
 * @property {string} reason
 * @property {Shown | null} output
 */
/**
 * @typedef {object} Rows
 * @property {"rows"} kind
 * @property {string} ref
 * @property {string[][]} [rows]
 * @property {number} [page]
 * @property {number} [pages]
 * @property {number} [total]
 * @property {string} [note]
 * @property {string} [problem]
 */
/**
 * @typedef {object} Part
 * @property {"part"} kind
 * @property {string} token
 * @property {Shown} value
 */
/**
 * @typedef {object} Saved
 * @property {"saved"} kind
 * @property {string} name
 * @property {string} type
 * @property {string} data
 */
/**
 * A widget to be put into the view: `shown` is a value in the notebook's own renderers.
 * @typedef {object} Child
 * @property {"child" | "shown"} kind
 * @property {string} model
 */
/**
 * @typedef {object} Notice
 * @property {"problem" | "deploying"} kind
 * @property {string} text
 */
/**
 * @typedef {object} Pulse
 * @property {"pulse"} kind
 * @property {Record<string, FunctionPulse>} functions
 * @property {boolean} over
 */
/**
 * @typedef {object} FunctionPulse
 * @property {"running" | "starting" | "failing" | "stopped"} state
 * @property {number} replicas
 * @property {number} wanted
 * @property {number} rate
 * @property {number} backlog
 * @property {number | null} age
 * @property {number} in_flight
 * @property {number} errors
 * @property {number} dead
 * @property {number | null} p95
 * @property {Record<string, number>} busy
 * @property {Record<string, number>} fill
 */
/**
 * @typedef {object} Outcome
 * @property {"did"} kind
 * @property {string} problem
 */
/**
 * @typedef {object} Logs
 * @property {"logs"} kind
 * @property {string} function
 * @property {string} text
 */
/**
 * @typedef {object} Failures
 * @property {"failures"} kind
 * @property {FailedRow[]} rows
 * @property {boolean} canDebug
 */
/**
 * @typedef {object} FailedRow
 * @property {string} step
 * @property {string} error
 * @property {string} id
 * @property {Shown} body
 */
/**
 * The state of a job; `parts` has a letter for each part, or for several of them.
 * @typedef {object} JobStatus
 * @property {"job"} kind
 * @property {"running" | "done" | "failed" | "stopped"} state
 * @property {string} words
 * @property {string} parts
 * @property {number} of
 * @property {number} failed
 * @property {[name: string, came: number | null, failed: number][]} steps
 * @property {string} problem
 */
/** @typedef {Status | Inspected | Frame | DebugState | DebugBusy | EventRows | EventPath | LineEvents | Rows | Part | Saved | Child | Notice | Pulse | Outcome | Logs | Failures | JobStatus} Message */

// --- from a view ---

/**
 * All requests of a view, with their fields.
 * @typedef {object} Requests
 * @property {{}} opened
 * @property {{}} left
 * @property {{}} hello
 * @property {{step: string}} inspect
 * @property {{step: string, on?: boolean}} hold
 * @property {{step: string, on?: boolean, route?: string, when?: string, hits?: string, at?: string}} break
 * @property {{step?: string, on?: boolean}} fold
 * @property {{line: string}} line
 * @property {{text: string, failed: boolean, slower: number}} events
 * @property {{id: string}} event
 * @property {{as: string}} save
 * @property {{target: string}} deploy
 * @property {RowsRequest} rows
 * @property {{token: string, of: Of, path: number[], from: number}} part
 * @property {{of: Of}} show
 * @property {{what: Move, step?: string | null, route?: string, text?: string, index?: number}} do
 * @property {{}} pause
 * @property {{}} stop
 * @property {{index: number, branch?: number | null}} frame
 * @property {{on: boolean}} mute
 * @property {{texts: string[]}} watch
 * @property {Edit} edit
 * @property {{function: string, n: number}} scale
 * @property {{function: string}} logs
 * @property {{}} failures
 * @property {{index: number}} debug
 * @property {{}} resume
 */
/** @typedef {"next" | "over" | "into" | "out" | "back" | "start" | "to" | "continue" | "run_to" | "rerun" | "input" | "output" | "pin" | "unpin"} Move */
/** @typedef {"add" | "remove" | "rename" | "connect" | "disconnect" | "respond" | "arguments" | "text" | "cell" | "undo" | "redo"} EditKind */
/**
 * @typedef {object} Edit
 * @property {EditKind} what
 * @property {string} [name]
 * @property {string} [target]
 * @property {string | null} [after]
 * @property {string | null} [when]
 * @property {boolean} [otherwise]
 * @property {boolean} [error]
 * @property {Record<string, string>} [texts]
 * @property {string} [text]
 */
/**
 * @typedef {object} RowsRequest
 * @property {string} ref
 * @property {number} page
 * @property {number} sort
 * @property {boolean} descending
 * @property {string} text
 */
/** @typedef {{ [Kind in keyof Requests]: { kind: Kind } & Requests[Kind] }[keyof Requests]} Request */

// --- the front end's side ---

/**
 * What anywidget gives to a view. Events are those of Backbone: "change:picture", "msg:custom", "comm_live_update".
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(event: string, act: (message: any) => void) => void} on
 * @property {(event: string, act: (message: any) => void) => void} off
 * @property {(message: Request) => void} send
 * @property {any} [widget_manager]
 */
/**
 * @typedef {object} Place
 * @property {Model} model
 * @property {HTMLElement} el
 */

export {};
