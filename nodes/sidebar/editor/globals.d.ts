/** What the sidebar uses of the Node-RED editor (4.1 and 5) and of its jQuery. */

interface EditorNode {
  readonly id: string;
  readonly type: string;
  readonly z?: string;
  readonly d?: boolean;
  readonly name?: string;
  readonly outputs?: number;
  readonly [property: string]: unknown;
}

interface AjaxAnswer {
  readonly status: number;
  readonly responseJSON?: unknown;
}

declare const RED: {
  _(key: string): string;
  plugins: { registerPlugin(id: string, plugin: { type: string; onadd: () => void }): void };
  sidebar: {
    addTab(tab: {
      id: string;
      name: string;
      label: string;
      iconClass: string;
      content: HTMLElement;
      enableOnEdit: boolean;
      action: string;
    }): void;
    show(id: string): void;
  };
  actions: { add(id: string, action: () => void, options?: { label: string }): void };
  comms: { subscribe(topic: string, listener: (topic: string, message: unknown) => void): void };
  events: { on(event: string, listener: () => void): void };
  nodes: {
    node(id: string): EditorNode | null | undefined;
    eachNode(visit: (node: EditorNode) => void): void;
    eachConfig(visit: (node: EditorNode) => void): void;
    eachWorkspace(visit: (workspace: { readonly id: string }) => void): void;
    dirty(isDirty: boolean): void;
    filterLinks(filter: { source: EditorNode }): { readonly sourcePort: number }[];
    workspace(id: string): { readonly disabled?: boolean } | null | undefined;
  };
  view: {
    reveal(id: string): void;
    importNodes(nodes: readonly object[], options: { generateIds: boolean; notify: boolean }): void;
  };
  workspaces: { show(id: string): void };
  editor: { editConfig(name: string, type: string, id: string): void };
  utils: { getNodeLabel(node: EditorNode, fallback?: string): string };
  notify(
    message: Node | string,
    options: {
      type: string;
      timeout?: number;
      modal?: boolean;
      fixed?: boolean;
      buttons?: readonly { text: string; class?: string; click: () => void }[];
    },
  ): { close(): void };
  settings: { readonly [name: string]: unknown };
};

declare const $: {
  ajax(options: {
    url: string;
    type?: string;
    contentType?: string;
    data?: string;
    dataType?: string;
    cache?: boolean;
    timeout?: number;
    processData?: boolean;
    xhrFields?: { responseType: string };
    success: (data: unknown, status: string, answer: AjaxAnswer) => void;
    error: (answer: AjaxAnswer) => void;
  }): void;
};
