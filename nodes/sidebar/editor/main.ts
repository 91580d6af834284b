/** The editor half of the plugin: the tab "SIP" and its actions, to which a user may give shortcuts. */
import { Sidebar } from "./sidebar.js";
import { t } from "./texts.js";

const TAB = "sip-sidebar";

RED.plugins.registerPlugin("sip-sidebar", {
  type: "sip",
  onadd: () => {
    const sidebar = new Sidebar();
    RED.actions.add(
      "sip:show-calls",
      () => {
        RED.sidebar.show(TAB);
        sidebar.show("calls");
      },
      { label: t("action.showCalls") },
    );
    RED.actions.add("sip:hangup-all", () => void sidebar.hangUpAll(), {
      label: t("action.hangUpAll"),
    });
    RED.sidebar.addTab({
      id: TAB,
      name: t("title"),
      label: "SIP",
      iconClass: "fa fa-phone",
      content: sidebar.element,
      enableOnEdit: true,
      action: "sip:show-calls",
    });
  },
});
